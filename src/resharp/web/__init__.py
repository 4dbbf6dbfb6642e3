"""The web page: photos in, restored photos out, in a browser on this computer or in the same network."""

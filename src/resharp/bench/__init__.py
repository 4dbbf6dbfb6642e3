"""How fast this machine does what resharp asks of it."""

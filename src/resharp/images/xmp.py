"""XMP packets: what of a photo's own packet stays true of its restoration, and what is added.

The packet is edited as XML and otherwise left alone: programs keep in XMP what they do not know. One that declares
entities or is not XML is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal
from xml.dom import minidom
from xml.sax.saxutils import escape

KEY = "resharp:receipt"
_NAMESPACE = "urn:resharp:"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMLNS = "http://www.w3.org/2000/xmlns/"
_IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_LARGEST_BYTES = 1 << 22  # of a packet that is parsed; the tree takes some tens of times as much
_DECLARATION = re.compile(r"<!(DOCTYPE|ENTITY)", re.IGNORECASE)

# IPTC's words for a picture that was corrected by an algorithm, and for one with parts drawn by a trained generator.
SourceType = Literal["algorithmicallyEnhanced", "compositeWithTrainedAlgorithmicMedia"]
# Words that say more than ours, and are never replaced by them.
_SYNTHETIC = (
    "trainedAlgorithmicMedia",
    "compositeWithTrainedAlgorithmicMedia",
    "compositeSynthetic",
    "algorithmicMedia",
    "virtualRecording",
    "dataDrivenMedia",
)

# True of the old pixels only: (namespace, pattern of the local name).
_STALE = (
    (_NAMESPACE, r".*"),  # receipts
    ("http://ns.adobe.com/tiff/1.0/", r"Orientation"),
    ("http://ns.adobe.com/xap/1.0/", r"Thumbnails"),  # shows the photo blurred and not turned
    # They point to pictures, videos and packets that are not written: gain maps, motion photos, extended XMP.
    ("http://ns.adobe.com/hdr-gain-map/1.0/", r".*"),
    ("http://ns.google.com/photos/1.0/camera/", r"(Motion|MicroVideo).*"),
    ("http://ns.google.com/photos/1.0/container/", r".*"),
    ("http://ns.google.com/photos/1.0/depthmap/", r".*"),
    ("http://ns.google.com/photos/1.0/image/", r".*"),
    ("http://ns.adobe.com/xmp/note/", r"HasExtendedXMP"),
)
# In any name space and at any depth: drones and places within structures have their own.
_GPS_NAME = re.compile(r"(.*_)?(gps.*|.*latitude.*|.*longitude.*)", re.IGNORECASE)


def lasting(packet: object) -> bytes | None:
    """A packet without what describes the old file alone; the same bytes where there is no such thing.

    None for what is empty then, broken, larger than 4 MB, or no packet at all.
    """
    return _without(packet, _STALE)


def without_gps(packet: bytes | None) -> bytes | None:
    """A packet without GPS coordinates. Names of places that somebody typed in stay."""
    document = None if packet is None else _parsed(packet)
    if document is None:
        return None
    found = False
    for element in document.getElementsByTagName("*"):
        if element.parentNode is not None and _GPS_NAME.fullmatch(element.localName or ""):
            element.parentNode.removeChild(element)
            found = True
            continue
        for attribute in list(element.attributes.values()):
            if attribute.namespaceURI != _XMLNS and _GPS_NAME.fullmatch(attribute.localName or attribute.name):
                element.removeAttributeNode(attribute)
                found = True
    return _wrapped(document.documentElement.toxml()) if found else packet


def xmp_packet(receipt: str | None, base: bytes | None = None, source_type: SourceType | None = None) -> bytes | None:
    """A packet with a receipt, an IPTC digital source type and what `base` holds; None where that is nothing.

    Args:
        receipt: ASCII without control characters.
        base: a packet, from `lasting`.
        source_type: replaces the one in `base`, unless that one already says that a picture is synthetic.
    """
    document = _parsed(base)
    if document is None:
        return _wrapped(_fresh(receipt, source_type)) if receipt or source_type else None
    added = source_type
    for value, remove in list(_source_types(document)):
        if value.rpartition("/")[2] in _SYNTHETIC:
            added = None
        elif source_type is not None:
            remove()
    if receipt is None and added is None:
        return base
    root = document.getElementsByTagNameNS(_RDF, "RDF")[0]
    fresh = minidom.parseString(_fresh(receipt, added)).getElementsByTagNameNS(_RDF, "Description")[0]
    prefix = root.prefix or "rdf"
    if prefix != "rdf":
        fresh.setAttributeNS(_XMLNS, "xmlns:rdf", _RDF)
    root.appendChild(document.importNode(fresh, True))
    return _wrapped(document.documentElement.toxml())


def _fresh(receipt: str | None, source_type: str | None) -> str:
    properties = "" if receipt is None else f"<{KEY}>{escape(receipt)}</{KEY}>"
    spaces = "" if receipt is None else f' xmlns:resharp="{_NAMESPACE}"'
    if source_type is not None:
        name = "Iptc4xmpExt:DigitalSourceType"
        properties += f"<{name}>{_VOCABULARY}{source_type}</{name}>"
        spaces += f' xmlns:Iptc4xmpExt="{_IPTC_EXTENSION}"'
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">'
        f'<rdf:Description rdf:about=""{spaces}>{properties}</rdf:Description></rdf:RDF></x:xmpmeta>'
    )


def _wrapped(tree: str) -> bytes:
    packet = f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{tree}<?xpacket end="w"?>'
    return packet.encode("utf-8", "xmlcharrefreplace")


def _parsed(packet: object) -> minidom.Document | None:
    """The packet as a tree with at least one rdf:RDF in it, or None."""
    if isinstance(packet, tuple):  # a TIFF tag of bytes
        packet = bytes(each & 255 for each in packet if isinstance(each, int))
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "replace")
    if not isinstance(packet, bytes) or len(packet) > _LARGEST_BYTES:
        return None
    # Zeros and spaces may pad it; a byte-order mark before the first tag is no XML.
    text = packet.decode("utf-8", "replace").strip("\x00\ufeff \t\r\n")
    if _DECLARATION.search(text):
        return None
    try:
        document = minidom.parseString(text.encode("utf-8"))
        document.documentElement.toxml()  # elements within elements by the thousand fail here and not in the writer
    except Exception:  # expat's own error, and others where names are odd
        return None
    return document if document.getElementsByTagNameNS(_RDF, "RDF") else None


def _without(packet: object, unwanted: tuple[tuple[str, str], ...]) -> bytes | None:
    document = _parsed(packet)
    if document is None:
        return None
    patterns = [(space, re.compile(pattern)) for space, pattern in unwanted]

    def is_unwanted(node: minidom.Node) -> bool:
        return any(
            node.namespaceURI == space and pattern.fullmatch(node.localName or "") for space, pattern in patterns
        )

    found = [remove for node, remove in _properties(document) if is_unwanted(node)]
    for remove in found:
        remove()
    if not any(True for _ in _properties(document)):
        return None
    if found:
        return _wrapped(document.documentElement.toxml())
    return packet if isinstance(packet, bytes) else _wrapped(document.documentElement.toxml())


def _properties(document: minidom.Document) -> Iterator[tuple[minidom.Node, Callable[[], object]]]:
    """The properties of the picture, as attributes and elements, each with the function that removes it."""
    for description in document.getElementsByTagNameNS(_RDF, "Description"):
        # A Description further down is a property's value.
        if description.parentNode is None or description.parentNode.localName != "RDF":
            continue
        for attribute in list(description.attributes.values()):
            if attribute.namespaceURI not in (None, _XMLNS, _RDF):
                yield attribute, lambda d=description, a=attribute: d.removeAttributeNode(a)
        for child in list(description.childNodes):
            if child.nodeType == child.ELEMENT_NODE:
                yield child, lambda d=description, c=child: d.removeChild(c)


def _source_types(document: minidom.Document) -> Iterator[tuple[str, Callable[[], object]]]:
    for node, remove in _properties(document):
        if node.namespaceURI != _IPTC_EXTENSION or node.localName != "DigitalSourceType":
            continue
        if node.nodeType == node.ATTRIBUTE_NODE:
            value = node.value
        else:
            value = "".join(child.data for child in node.childNodes if child.nodeType == child.TEXT_NODE).strip()
            value = value or node.getAttributeNS(_RDF, "resource")
        yield value.strip(), remove

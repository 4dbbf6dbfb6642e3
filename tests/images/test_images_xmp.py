"""XMP packets: what stays, what goes, what is added; other people's packets are never broken."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resharp.images.xmp import lasting, without_gps, xmp_packet

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
SPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "GCamera": "http://ns.google.com/photos/1.0/camera/",
    "Container": "http://ns.google.com/photos/1.0/container/",
    "drone": "http://www.dji.com/drone-dji/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "resharp": "urn:resharp:",
}
TYPE = f"{{{SPACES['Iptc4xmpExt']}}}DigitalSourceType"


def packet(attributes: str = "", children: str = "", wrapper: str = "x:xmpmeta") -> bytes:
    spaces = " ".join(f'xmlns:{name}="{place}"' for name, place in SPACES.items())
    description = f'<rdf:Description rdf:about="" {spaces} {attributes}>{children}</rdf:Description>'
    rdf = f'<rdf:RDF xmlns:rdf="{RDF}">{description}</rdf:RDF>'
    return f'<{wrapper} xmlns:x="adobe:ns:meta/">{rdf}</{wrapper}>'.encode() if wrapper else rdf.encode()


def properties(data: bytes) -> dict[str, str]:
    """All properties of the picture by {namespace}name, elements and attributes alike."""
    root = ElementTree.fromstring(data.decode("utf-8").strip("\ufeff\n\0"))
    found = {}
    for description in root.iter(f"{{{RDF}}}Description"):
        found |= {key: value for key, value in description.attrib.items() if RDF not in key}
        found |= {child.tag: "".join(child.itertext()).strip() for child in description}
    return found


TITLE = '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">T &amp; ü</rdf:li></rdf:Alt></dc:title>'


def test_a_packet_with_nothing_stale_is_the_same_bytes():
    given_ = packet('xmp:Rating="5"', TITLE)
    assert lasting(given_) == given_


@pytest.mark.parametrize(
    "stale",
    [
        'tiff:Orientation="6"',
        'hdrgm:Version="1.0"',
        'GCamera:MotionPhoto="1"',
        'GCamera:MicroVideoOffset="99"',
        "<tiff:Orientation>6</tiff:Orientation>",
        "<xmp:Thumbnails><rdf:Alt/></xmp:Thumbnails>",
        "<Container:Directory><rdf:Seq/></Container:Directory>",
        "<resharp:receipt>{}</resharp:receipt>",
        'resharp:receipt="{}"',
    ],
)
def test_what_is_true_of_the_old_file_alone_goes_and_the_rest_stays(stale):
    as_element = stale.startswith("<")
    given_ = packet('xmp:Rating="5"' + ("" if as_element else " " + stale), TITLE + (stale if as_element else ""))
    kept = properties(lasting(given_))
    assert kept == {f"{{{SPACES['xmp']}}}Rating": "5", f"{{{SPACES['dc']}}}title": "T & ü"}


def test_a_packet_of_stale_things_alone_is_none():
    assert lasting(packet('tiff:Orientation="6"')) is None


@pytest.mark.parametrize(
    "broken",
    [
        None,
        b"",
        b"no xml",
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
        packet('xmp:Rating="5"')[:-30],
        b'<!DOCTYPE x [<!ENTITY a "b">]>' + packet('xmp:Rating="5"'),
        packet(children="<dc:a>" * 5000 + "</dc:a>" * 5000),
        packet('xmp:Rating="' + "5" * (5 << 20) + '"'),
        ("not", "bytes"),
        7,
    ],
)
def test_what_is_no_packet_is_none(broken):
    assert lasting(broken) is None


def test_padding_markers_and_other_containers_are_understood():
    inner = packet('xmp:Rating="5"', wrapper="")
    wrapped = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0"?>' + inner + b"  \n" * 50 + b'<?xpacket end="w"?>\0\0'
    assert properties(lasting(wrapped) or b"") == {f"{{{SPACES['xmp']}}}Rating": "5"}
    as_tag = tuple(inner)  # as Pillow gives the bytes of a TIFF tag
    assert properties(lasting(as_tag)) == {f"{{{SPACES['xmp']}}}Rating": "5"}


def test_receipt_and_source_type_join_what_is_there():
    made = xmp_packet('{"a":"<&>"}', packet('xmp:Rating="5"', TITLE), "algorithmicallyEnhanced")
    found = properties(made)
    assert found[f"{{{SPACES['resharp']}}}receipt"] == '{"a":"<&>"}'
    assert found[TYPE].endswith("/algorithmicallyEnhanced")
    assert found[f"{{{SPACES['dc']}}}title"] == "T & ü"


def test_nothing_to_say_gives_no_packet():
    assert xmp_packet(None) is None
    base = packet('xmp:Rating="5"')
    assert xmp_packet(None, base) == base


@pytest.mark.parametrize("form", ["attribute", "element", "resource"])
@pytest.mark.parametrize(
    ("before", "after"),
    [("digitalCapture", "algorithmicallyEnhanced"), ("trainedAlgorithmicMedia", "trainedAlgorithmicMedia")],
)
def test_ours_replaces_a_capture_and_never_a_synthetic_picture(form, before, after):
    value = f"http://cv.iptc.org/newscodes/digitalsourcetype/{before}"
    name = "Iptc4xmpExt:DigitalSourceType"
    base = {
        "attribute": packet(f'{name}="{value}"'),
        "element": packet(children=f"<{name}>{value}</{name}>"),
        "resource": packet(children=f'<{name} rdf:resource="{value}"/>'),
    }[form]
    made = xmp_packet(None, base, "algorithmicallyEnhanced").decode()
    assert made.count("DigitalSourceType=") + made.count("DigitalSourceType>") // 2 + made.count("rdf:resource=") == 1
    assert f"/{after}" in made


@pytest.mark.parametrize(
    "place",
    [
        'exif:GPSLatitude="48,8.1N"',
        "<exif:GPSLongitude>11,34E</exif:GPSLongitude>",
        'drone:GpsLatitude="48.1"',
        'drone:Latitude="48.1"',
        '<Iptc4xmpExt:LocationCreated><rdf:Bag><rdf:li exif:GPSLatitude="48,8.1N" Iptc4xmpExt:City="Ulm"/></rdf:Bag>'
        "</Iptc4xmpExt:LocationCreated>",
    ],
)
def test_coordinates_go_in_every_name_space_and_depth(place):
    as_element = place.startswith("<")
    given_ = packet('xmp:Rating="5"' + ("" if as_element else " " + place), place if as_element else "")
    clean = without_gps(given_).decode()
    assert "48" not in clean
    assert "11,34" not in clean
    assert 'xmp:Rating="5"' in clean
    assert ("Ulm" in clean) == ("Ulm" in place)  # a name that somebody typed in stays


def test_without_coordinates_nothing_is_touched():
    given_ = packet('xmp:Rating="5"', TITLE)
    assert without_gps(given_) is given_
    assert without_gps(None) is None
    assert without_gps(b"broken") is None


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_spoilt_packets_never_raise_and_what_comes_out_is_xml(data):
    whole = bytearray(packet('xmp:Rating="5" exif:GPSLatitude="1"', TITLE))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole)))
        whole[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    kept = without_gps(lasting(bytes(whole)))
    made = xmp_packet("{}", kept, "algorithmicallyEnhanced")
    assert properties(made)[f"{{{SPACES['resharp']}}}receipt"] == "{}"

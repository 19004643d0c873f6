"""The MusicXML 4.0 schema, from the package `musicxml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_XLINK = ("href", "type", "role", "title", "show", "actuate")
_SMALL = {
    "xml.xsd": ("http://www.w3.org/XML/1998/namespace", ("lang", "space")),
    "xlink.xsd": ("http://www.w3.org/1999/xlink", _XLINK),
}


def musicxml_schema() -> Any:
    """The schema as an `lxml.etree.XMLSchema`.

    Raises:
        ImportError: without lxml or the package `musicxml`.
    """
    import musicxml
    from lxml import etree

    class Local(etree.Resolver):
        """The two small schemas that it imports from the web, reduced to the attributes it uses."""

        def resolve(self, url, public_id, context):
            space, names = _SMALL.get(url.rsplit("/", 1)[-1], (None, ()))
            if space is None:
                return None
            attributes = "".join(f'<xs:attribute name="{name}" type="xs:string"/>' for name in names)
            schema = (
                '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"'
                f' targetNamespace="{space}">{attributes}</xs:schema>'
            )
            return self.resolve_string(schema, context)

    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(Local())
    return etree.XMLSchema(
        etree.parse(str(Path(musicxml.__file__).parent / "generate_classes" / "musicxml_4_0.xsd"), parser)
    )

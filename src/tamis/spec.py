"""Names with options, as typed on a command line: `jpeg:subsampling=444`, `blur:1.0`."""

from dataclasses import dataclass, field

from tamis.errors import TamisError


@dataclass(frozen=True)
class Spec:
    """A name, at most one positional value, and options.

    >>> Spec.parse("blur:1.5")
    Spec(name='blur', value='1.5', options={})
    >>> Spec.parse("jpeg:subsampling=444:progressive=false").options
    {'subsampling': '444', 'progressive': 'false'}
    """

    name: str
    value: str | None = None
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Spec":
        """Split `name[:value][:key=option]...`.

        Raises:
            TamisError: an empty name, a second positional value or an option given twice.
        """
        name, *parts = text.strip().split(":")
        if not name:
            raise TamisError(f"'{text}' names nothing; expected name[:value][:key=option]")
        value: str | None = None
        options: dict[str, str] = {}
        for part in parts:
            key, equals, option = part.partition("=")
            if not equals:
                if value is not None:
                    raise TamisError(f"'{text}' has two values: '{value}', '{part}'")
                value = part
            elif key in options:
                raise TamisError(f"'{text}' gives '{key}' twice")
            else:
                options[key] = option
        return cls(name, value, options)

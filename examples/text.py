"""Text for the examples that learn letters: a file of your own, or the documentation of this project."""

from pathlib import Path


class Text:
    """Characters as numbers: ``ids`` holds the text, ``encode`` and ``decode`` go there and back."""

    def __init__(self, path=None, most=None):
        if path is None:
            pages = sorted((Path(__file__).resolve().parent.parent / "docs").glob("*.md"))
            text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
        else:
            text = Path(path).read_text(encoding="utf-8")
        text = text[:most]
        self.letters = sorted(set(text))
        self.number = {letter: k for k, letter in enumerate(self.letters)}
        self.ids = self.encode(text)

    def __len__(self):
        return len(self.letters)

    def encode(self, text):
        """The numbers of the letters of ``text``."""
        return [self.number[letter] for letter in text]

    def decode(self, ids):
        """The letters of some numbers."""
        return "".join(self.letters[k] for k in ids)

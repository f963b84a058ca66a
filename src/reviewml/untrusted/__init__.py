"""Reading files that somebody else may have written: saved models, and what registries hold.

Whatever such a file says, reading it takes bounded time and memory and ends in a value or in
`DamagedModel`: regular files alone are read, of a stated size at most; JSON may not be deep, name a
key twice, or hold numbers that no JSON has; arrays must lie side by side within their file.
What values must look like is declared beside what reads them: see `untrusted.forms`.
"""

from reviewml.untrusted.arrays import read_arrays
from reviewml.untrusted.documents import check_document, parse_document, read_document
from reviewml.untrusted.files import MOST_FILE_BYTES, list_files, open_file, read_file

__all__ = [
    "MOST_FILE_BYTES",
    "check_document",
    "list_files",
    "open_file",
    "parse_document",
    "read_arrays",
    "read_document",
    "read_file",
]

#!/bin/sh
# isal's decompressobj has an empty unconsumed_tail while output is still owed, and a loop as for zlib loses the rest.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check isal==1.9.1
cat <<'END'
Version:  isal 1.9.1 (isal_zlib, which is made as zlib is), and zlib of the standard library.
Expected: as zlib documents decompress(data, max_length): what could not be unpacked yet is in unconsumed_tail, so that a loop
          for as long as there is a tail has everything in the end, and eof is True.
Seen:     zlib does so. isal reads ahead and holds back what it has unpacked beyond the limit: once it has read all of the
          input, the tail is empty, the loop ends early, and of 1000 bytes there are 100. Nothing is raised; eof is False.
          With gzip the checksum at the end hides it; with the zlib format nothing does.
END
"$place/venv/bin/python" - <<'END'
import sys
import zlib

from isal import isal_zlib

PLAIN = b"a" * 1000
PACKED = zlib.compress(PLAIN)
LIMIT = 100


def unpacked(library):
    inflate = library.decompressobj()
    plain = inflate.decompress(PACKED, LIMIT)
    while inflate.unconsumed_tail:
        plain += inflate.decompress(inflate.unconsumed_tail, LIMIT)
    return len(plain), inflate.eof, len(inflate.decompress(b"", len(PLAIN)))


by_zlib, by_isal = unpacked(zlib), unpacked(isal_zlib)
for name, (size, eof, held) in (("zlib", by_zlib), ("isal", by_isal)):
    print(f"{name}: {size} of {len(PLAIN)} bytes, eof {eof}; {held} more when asked with no input")
sys.exit(0 if by_zlib == (1000, True, 0) and by_isal == (100, False, 900) else 1)
END

#!/bin/sh
# Alembic loads Pygments, with its lexers of Perl, Lua and Scheme, in every process where it is installed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check alembic==1.20.1 mako==1.4.3 sqlalchemy==2.1.9
cat <<'END'
Version:  alembic 1.20.1 on Mako 1.4.3, beside Pygments 2.21.0.
Expected: `import alembic.command` loads what migrations need. That a syntax highlighter is installed too, because of rich
          or pytest, changes nothing.
Seen:     Alembic loads Mako, which it needs for new revisions alone, and Mako loads Pygments where it is there, to colour
          the pages of its errors: some forty modules, among them lexers of languages that nobody uses. A service that
          migrates at its start keeps them in memory for as long as it runs.
END
looks() {
    "$place/venv/bin/python" -c '
import sys
import alembic.command
print(sum(name.partition(".")[0] == "pygments" for name in sys.modules))'
}
without=$(looks)
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check pygments==2.21.0
with=$(looks)
echo "modules of Pygments that Alembic's commands load: $without without it, $with where it is installed"
test "$without" -eq 0 && test "$with" -gt 20

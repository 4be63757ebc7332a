#!/bin/sh
# Installs the build into a folder of its own, then uses it as a stranger would: the program, the man pages, and a
# program compiled against the library by pkg-config.
#   install.sh BUILD SOURCE CC
set -eu
build=$1 source=$2 cc=$3
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT

cmake --install "$build" --prefix "$prefix" >/dev/null
"$prefix/bin/seesaw" --version
for page in "$prefix"/share/man/man1/*.1; do
  mandoc -T lint -W error "$page"
done

# the pair and the schemes are found beside the program, whatever the folder: what is missing then is a trained row
(cd "$prefix" && ! bin/seesaw ablate page 2>error.txt && cat error.txt && grep -q "none of the rows is trained" error.txt)

config=$(find "$prefix" -name seesaw.pc)
PKG_CONFIG_PATH=$(dirname "$config")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046 # the flags are words
"$cc" -std=c17 -Wall -Wextra -Werror "$source/tests/install.c" -o "$prefix/example" $(pkg-config --cflags --libs --static seesaw)
"$prefix/example"

#!/bin/sh
# Overwrites the first page of a database with zeros.
exec dd if=/dev/zero of="$1" bs=4096 count=1 conv=notrunc status=none

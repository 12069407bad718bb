#!/bin/sh
# Makes a vault in the folder of the case.
exec "$PROGRAM" init >/dev/null

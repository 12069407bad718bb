#!/bin/sh
# Runs `strongroom` for the cases in cmd/, and replaces in its output what differs from run to run.
# INPUT is what the command reads from the standard input.
unset RUST_LOG STRONGROOM_CAMPAIGN
export XDG_CONFIG_HOME=/nonexistent
chmod 0700 .
status=$(mktemp)
trap 'rm -f "$status"' EXIT
{
    printf '%s' "${INPUT-}" | "$PROGRAM" "$@" 2>&1
    echo $? >"$status"
} | sed -E \
    -e 's/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/[ID]/g' \
    -e 's/sr[a-z]_[A-Za-z0-9]{20,}/[KEY]/g' \
    -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z/[TIME]/g' \
    -e 's/\b[0-9a-f]{16}([0-9a-f]{16})?([0-9a-f]{32})?\b/[HEX]/g' \
    -e 's/\b1[0-9]{9}\b/[SECONDS]/g' \
    -e 's/[A-Za-z0-9_-]{43,}(\.[A-Za-z0-9_-]+){0,2}/[BASE64]/g' \
    -e 's/\([0-9]+ bytes\)/([SIZE] bytes)/g' \
    -e 's/\b[0-9]{3} (providers|entries)/[COUNT] \1/' \
    -e "s#$PWD#[FOLDER]#g"
exit "$(cat "$status")"

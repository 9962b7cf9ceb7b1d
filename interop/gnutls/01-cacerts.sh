# shellcheck shell=bash
# The way to trust.
. "$SUITE_DIR/lib.sh"

# the_cas OUT VERSION
the_cas() {
    request "$1.request" GET cacerts 'Connection: close'
    send "$1" "$2" "$1.request"
    unpack "$1" 4
    all_cas "$1.pem"
}

claim 1 the_cas old 1.2
claim 2 the_cas cas 1.3

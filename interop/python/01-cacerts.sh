# shellcheck shell=bash
# The way to trust.
. "$SUITE_DIR/lib.sh"

# the_cas VERSION OUT
the_cas() {
    est cacerts "$1" "$2"
    all_cas "$2.pem"
}

other_root() {
    fails client none cacerts --server "$EST_ADDRESS" --trust "$VITAE_DIR/ca/update-root.pem" --tls 1.3 --out none.pem
    has none.txt 'CERTIFICATE_VERIFY_FAILED'
    [[ ! -e none.pem ]]
}

claim 1 the_cas 1.2 old
claim 2 the_cas 1.3 cas
claim 3 other_root

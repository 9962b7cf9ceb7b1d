# shellcheck shell=bash
# Helpers of this suite only.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# lint OUT KIND FILE...: OUT takes the findings.
lint() {
    "$VENV/bin/python" "$SUITE_DIR/lint.py" --allowed "$SUITE_DIR/allowed.txt" --kind "${@:2}" >"$1" 2>&1
}

# The certificates of the CAs themselves, without the file that joins them.
# shellcheck disable=SC2034
mapfile -t cas < <(find "$VITAE_DIR/ca" -name '*.pem' ! -samefile "$CHAIN" | sort)

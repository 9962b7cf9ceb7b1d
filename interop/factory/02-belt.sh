# shellcheck shell=bash
# Twenty pumps on the belt.
. "$SUITE_DIR/lib.sh"

serials=()
for number in {0..19}; do serials+=("$(printf 'BR7700%02d' "$number")"); done
for serial in "${serials[@]}"; do unit "$serial"; done

twenty() {
    belt line-7 "${serials[@]}"
    equal "$(<belt.connects)" 1
    for serial in "${serials[@]}"; do born "$serial"; done
    for serial in "${serials[@]}"; do serial_of "$serial.pem"; done | sort -u >belt.serials
    equal "$(wc -l <belt.serials)" 20
}

again() {
    for serial in "${serials[@]}"; do cp "$serial.pem" "$serial.first"; done
    belt line-7 "${serials[@]}"
    for serial in "${serials[@]}"; do
        issued "$serial" "$serial.key"
        equal "$(fingerprints "$serial.pem")" "$(fingerprints "$serial.first")"
    done
}

recorded() {
    vitae cert list --enrolled-by ra.line-7 --json | grep -oE '"serial": *"[0-9a-f]+"' | grep -oE '[0-9a-f]{32}' | sort >line.serials
    cmp line.serials belt.serials
    vitae cert trace "$(serial_of BR770007.pem)" >trace.txt
    has trace.txt '^approved by +ra\.line-7: registration authority'
    vitae device show "$(<BR770007.id)" >show.txt
    has show.txt '^first idev .*, by ra\.line-7'
    vitae device history "$(<BR770007.id)" >history.txt
    has history.txt 'ra\.line-7 +certificate .* by the registration authority ra\.line-7'
}

works() {
    vitae device move "$(<BR770007.id)" deployment --reason shipped
    vitae device move "$(<BR770007.id)" deployment --reason received --owner SUH
    key work.key
    csr work.key work.csr -subj /serialNumber=BR770007
    est_post work ldev/simpleenroll work.csr --cert BR770007.pem --key BR770007.key
    issued work work.key
}

claim 4 twenty
claim 5 again
claim 6 recorded
claim 7 works

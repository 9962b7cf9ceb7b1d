# shellcheck shell=bash
# Helpers of this suite only.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

jars=/usr/share/java
classpath=classes:$jars/bcprov.jar:$jars/bcutil.jar:$jars/bcpkix.jar:$jars/bctls.jar

if [[ ! -e classes ]]; then
    # Not '-path': the jars' manifests name others, for mail, that nothing here needs.
    javac -Xlint:all,-path -Werror -d classes -cp "$classpath" "$SUITE_DIR/Est.java"
    # Bouncy Castle tells the log which settings of the JDK it found.
    echo '.level=OFF' >logging.properties
fi

# client COMMAND NAME=VALUE...: what it prints goes to OUT.txt, where out=OUT.pem.
client() {
    local argument out=client
    for argument in "$@"; do [[ $argument != out=* ]] || out=$(basename "${argument#out=}" .pem); done
    # Each run is short: no time for the second compiler.
    java -XX:TieredStopAtLevel=1 -Djava.util.logging.config.file=logging.properties -cp "$classpath" \
        Est "$@" >"$out.txt" 2>&1
}

# est COMMAND VERSION OUT NAME=VALUE...: OUT.pem and, but for cacerts, a new key in OUT.key.
est() {
    client "$1" server="$EST_ADDRESS" trust="$ROOT" tls="TLSv$2" out="$3.pem" key="$3.key" "${@:4}"
    has "$3.txt" "^TLS: TLSv$2\$"
}

# refused_by_est OUT STATUS REGEX: the client has the status and the server's reason, and no certificate.
refused_by_est() {
    has "$1.txt" "^HTTP $2: .*$3"
    [[ ! -e $1.pem ]] || { echo "$1.pem exists"; return 1; }
}

# What the example runs: a page that says who leads, and a line in the log whenever that changes.
www=${WWW:-/tmp/www}
api=http://127.0.0.1:4040

# All work has stopped: the next one may lead at once. A follower is told 409, which is fine too.
stop() {
    timeout 2 wget -q -O /dev/null --post-data= "$api/resign?stopped=true&election=$ELECTION" 2>/dev/null
    exit 0
}
trap stop TERM

mkdir -p "$www"
# The readiness probe may come before anybody is asked below.
echo "$POD_NAME starts" >"$www/index.html"
httpd -h "$www" -p "${PORT:-8080}"

while :; do
    if timeout 1 wget -q -O "$www/leader.json" "$api/leader?election=$ELECTION" 2>/dev/null; then
        says="$POD_NAME leads"
    else
        says="$POD_NAME doesn't lead; the leader: $(timeout 1 wget -q -O - "$api/?election=$ELECTION")"
    fi
    if [ "$says" != "$said" ]; then
        echo "$says"
        echo "$says" >"$www/new"
        mv "$www/new" "$www/index.html"
        said=$says
    fi
    # In the background, so that SIGTERM doesn't wait for it.
    sleep 1 &
    wait $!
done

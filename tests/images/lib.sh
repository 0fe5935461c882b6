# Sourced by the parts: images of every kind, and a daemon that has none of them.

# The images that the parts send around, made once: names in $kinds.
kinds='kind/committed:1 kind/again:1 kind/unchanged:1 kind/imported:1 kind/empty:1 kind/tagged:1'
make_kinds() {
	[ -z "${has_kinds:-}" ] || return 0
	has_kinds=yes
	d run --name maker -e A=b busybox sh -c 'mkdir /made; echo hi >/made/file; ln /made/file /made/hard; ln -s file /made/soft
		mkfifo /made/fifo; chown 12:34 /made/file; chmod 4711 /made/file; rm -r /home; rm /etc/shells; rm -r /var/spool; mkdir /var/spool' >/dev/null
	d commit -a me -m why -c 'CMD ["cat","/made/file"]' maker kind/committed:1 >/dev/null
	d run --name maker2 kind/committed:1 sh -c 'rm /made/hard; echo more >>/made/file; mkdir -p /deep/er/and/deeper' >/dev/null
	d commit maker2 kind/again:1 >/dev/null
	d create --name maker3 busybox true >/dev/null
	d commit -c 'LABEL only=config' maker3 kind/unchanged:1 >/dev/null
	d export maker | d import -c 'ENV X="y z"' -m imported - kind/imported:1 >/dev/null
	d import - kind/empty:1 </dev/null >/dev/null
	d tag kind/committed:1 kind/tagged:1
	d rm maker maker2 maker3 >/dev/null
}

# A daemon with nothing but the built-in image.
fresh_daemon() {
	stop_daemon
	rm -rf "$dir/data"
	has_kinds=
	start_daemon
}
ids() { for i in "$@"; do d image inspect -f '{{.Id}} {{json .RootFS.Layers}}' "$i"; done; }

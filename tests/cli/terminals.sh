# Sourced by run.sh: a real terminal in front of the CLI (terminal.exp).

if command -v expect >/dev/null; then
	for scene in editing jobs size interrupt detach attach start exec pause; do
		# Not through a pipe: a client that a failed scene leaves behind would hold it open.
		timeout -k 1 500 tests/cli/terminal.exp "$docker" "$scene" >"$dir/scene" 2>&1 </dev/null
		d rm -f terminal >/dev/null 2>&1
		check "terminal: $scene" 0 "$scene: all well" cat "$dir/scene"
	done
fi

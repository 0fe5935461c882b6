# Sourced. at_terminal COMMAND WORDS: what the command writes at a terminal. When the regular expression WORDS is in it,
# it is sent a line: a shell in a container reads one before it ends, since who leads a session takes with it what the
# kernel has not carried from the slave to the master by then. Here nobody leads one.
at_terminal() {
	python3 - "$1" "$2" <<'END'
import os, pty, re, select, subprocess, sys
command, words = sys.argv[1:]
master, slave = pty.openpty()
process = subprocess.Popen(["sh", "-c", command], stdin=slave, stdout=slave, stderr=slave)
said, is_seen, has_ended = "", False, False
while True:
    if select.select([master], [], [], 0 if has_ended else 0.05)[0]:
        said += os.read(master, 65536).decode(errors="replace")
    elif has_ended:
        break
    if not is_seen and re.search(words, said):
        is_seen = True
        os.write(master, b"\n")
    has_ended = process.poll() is not None
print(said.replace("\r", "").rstrip("\n"))
END
}

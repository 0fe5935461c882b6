#!/bin/sh
# Sums up what gcov counted in $B: lines reached, by folder and for the least covered files.
set -eu
B=${B:?}
rm -rf "$B/gcov" && mkdir -p "$B/gcov"
find "$B/src" -name '*.gcda' | while IFS= read -r f; do
	gcov -n -r "$f" 2>/dev/null
done | awk '
	/^File / { file = $2; gsub(/\047/, "", file) }
	/^Lines executed:/ && file ~ /^src\// {
		split($0, p, /[:% ]+/); n = p[length(p)]; hit = p[3] * n / 100
		if (hit > best[file]) best[file] = hit
		lines[file] = n; file = ""
	}
	END {
		for (f in lines) {
			split(f, part, "/"); dir = part[2]
			total[dir] += lines[f]; reached[dir] += best[f]; all += lines[f]; got += best[f]
			printf "%5.1f %5d %s\n", 100 * best[f] / lines[f], lines[f], f >"/dev/stderr"
		}
		for (d in total) printf "%-10s %5.1f%% of %d lines\n", d, 100 * reached[d] / total[d], total[d]
		printf "%-10s %5.1f%% of %d lines\n", "all", 100 * got / all, all
	}' 2>"$B/gcov/files" | sort
echo "least covered:"
sort -n "$B/gcov/files" | head -8

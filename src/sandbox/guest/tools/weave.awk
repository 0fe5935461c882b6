# Weaves into wasm2c's output what it cannot know: a poll for guest signals at
# every loop head, and setjmp as a native _setjmp in the function that calls it
# (src/sandbox/runtime/jump.c). In such a function every variable is volatile:
# the C standard keeps no others over a longjmp.
#
# A function is collected whole, because whether it calls setjmp is known only
# at its end.

function is_head(line) {
	return line ~ /^(static )?[a-z0-9_]+\*? [Zw][A-Za-z0-9_]*\(.*\) \{$/
}

function flush_function(   i, line) {
	for (i = 0; i < n; i++) {
		line = body[i]
		if (has_setjmp) {
			if (i == 0) {
				gsub(/u32 w2c_p/, "volatile u32 w2c_p", line)
				gsub(/u64 w2c_p/, "volatile u64 w2c_p", line)
			} else if (line ~ /^  (u32|u64|f32|f64) w2c_/) {
				sub(/^  /, "  volatile ", line)
			}
			if (line ~ /^  FUNC_PROLOGUE;/)
				line = "  const u32 jump_mark = guest_jump_mark();\n" line
			else if (line ~ /^  FUNC_EPILOGUE;/)
				line = "  guest_jump_cut(jump_mark);\n" line
			gsub(/\(\*Z_linuxZ_setjmp\)\(instance->Z_linux_instance, /, "GUEST_SETJMP(jump_mark, ", line)
		}
		print line
	}
	n = 0
	has_setjmp = 0
	in_function = 0
}

/^#include "/ {
	print
	print "#include \"sandbox/runtime/woven.h\""
	next
}

!in_function && is_head($0) {
	in_function = 1
}

in_function {
	if ($0 ~ /^ *w2c_L[0-9]+: *$/)
		$0 = $0 "GUEST_POLL();"
	if ($0 ~ /Z_linuxZ_setjmp\)\(/)
		has_setjmp = 1
	body[n++] = $0
	if ($0 == "}")
		flush_function()
	next
}

{ print }

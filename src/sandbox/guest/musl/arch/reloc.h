/* There is no dynamic linking; the one thing asked of this header is a jump to
 * another stack, which only a dying thread would make. */
#define LDSO_ARCH "wasm32"
#define CRTJMP(pc, sp) __builtin_trap()

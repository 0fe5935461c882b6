// Cases one after the other; what a case made is removed after it. The last line sums up.
import assert from "node:assert/strict";

export { assert };

let passed = 0, failed = 0;

export async function test(name, body) {
  const made = [];
  try {
    await body((thing) => { made.push(thing); return thing; });
    passed += 1;
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}\n${error.stack}`);
  }
  for (const thing of made.reverse())
    try {
      await thing();
    } catch { /* it has gone already */ }
}

export async function until(claim, seconds = 60) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end;) {
    if (await claim()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("it did not come true");
}

export function verdict(suite) {
  console.log(`${suite}: ${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0); // connections that are kept alive do not hold us
}

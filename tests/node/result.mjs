// What a script found goes to its test as one line of JSON.

export const base = process.env.RELAY_URL;
export const key = process.env.RELAY_KEY;

// The class and the words of what a promise is rejected with.
export async function rejection(promise) {
  try {
    await promise;
  } catch (error) {
    return { kind: error.constructor.name, status: error.status ?? null, code: error.code ?? null, body: error.error ?? null };
  }
  return null;
}

export function tell(found) {
  process.stdout.write(JSON.stringify(found) + "\n");
}

/** Base64 as RFC 4648 has it: padded, nothing between its characters. */

const VALUES = valuesOf("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");

/** How many bytes a text stands for, so that too many can be refused before they are made. @param {string} text */
export function base64Size(text) {
  return (text.length >> 2) * 3 - paddingOf(text);
}

/** Null for what is not base64. @param {string} text @returns {Uint8Array|null} */
export function base64Bytes(text) {
  if (text.length % 4) return null;
  const length = text.length - paddingOf(text);
  const made = new Uint8Array(Math.max(0, base64Size(text)));
  for (let at = 0, held = 0, bits = 0, out = 0; at < length; at += 1) {
    const code = text.charCodeAt(at);
    const value = code < 128 ? VALUES[code] : 64;
    if (value === 64) return null;
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      made[out++] = held >> bits;
    }
  }
  return made;
}

/** @param {string} text */
function paddingOf(text) {
  return text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
}

/** @param {string} alphabet */
function valuesOf(alphabet) {
  const made = new Uint8Array(128).fill(64);
  Array.from(alphabet).forEach((char, value) => (made[char.charCodeAt(0)] = value));
  return made;
}

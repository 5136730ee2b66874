/**
 * Keys and names as the database keeps them: text whose order by bytes is the order of the key's UTF-16 code units, as `<` has
 * it, so that an index can give listings in their order. Nearly all keys stay as they are.
 *
 * Two kinds of character have to move. UTF-8 sorts what UTF-16 writes as two units (from U+10000 on) behind U+E000 to U+FFFF, so
 * each unit from U+D800 on becomes one character of its own, from U+E000 on. And PostgreSQL's text has no U+0000: that and
 * U+0001 become U+0001 and one character more.
 */

// oxlint-disable-next-line no-control-regex -- these are what must not stay
const AS_IT_IS = /^[^\u0000\u0001\ud800-\uffff]*$/;
const FIRST_SURROGATE = 0xd800;
const BEHIND_SURROGATES = 0xe000;
/** Where units from U+D800 on begin: what stands there in a key has moved, too. */
const SHIFT = 0xe000 - FIRST_SURROGATE;
const ESCAPE = "\u0001";

/** Of a well-formed text. */
export function toKeyText(text: string): string {
  if (AS_IT_IS.test(text)) return text;
  let keyText = "";
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 2) keyText += ESCAPE + String.fromCharCode(unit + 1);
    else keyText += String.fromCodePoint(unit < FIRST_SURROGATE ? unit : unit + SHIFT);
  }
  return keyText;
}

/** The text that {@link toKeyText} made this of. */
export function fromKeyText(keyText: string): string {
  if (AS_IT_IS.test(keyText)) return keyText;
  let text = "";
  for (let index = 0; index < keyText.length; index++) {
    let point = keyText.codePointAt(index) ?? 0;
    if (point >= BEHIND_SURROGATES) {
      if (point > 0xffff) index++;
      point -= SHIFT;
    } else if (point === 1) {
      point = (keyText.codePointAt(++index) ?? 1) - 1;
    }
    text += String.fromCharCode(point);
  }
  return text;
}

/** Above every key text that begins with `prefix`: a character behind all that keys are made of. */
export function behindPrefix(prefix: string): string {
  return `${toKeyText(prefix)}\u{10ffff}`;
}

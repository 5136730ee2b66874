/** Passwords in connection strings, kept out of what people and programs are shown. */

const PASSWORDS: readonly (readonly [RegExp, string])[] = [
  [/(postgres(?:ql)?:\/\/[^:@/?#\s"']*):[^@/?#\n]*@/gi, "$1@"],
  // Not encoded as it has to be.
  [/(postgres(?:ql)?:\/\/[^:@/?#\s"']*):[^\s"']*@/gi, "$1@"],
  [/([?&](?:ssl)?password=)[^&\s"']*/gi, "$1***"],
];

/** Text in which no `postgres://` URL has a password any more. */
export function withoutPasswords(text: string): string {
  if (!/postgres(?:ql)?:\/\//i.test(text)) return text;
  return PASSWORDS.reduce((shown, [pattern, instead]) => shown.replace(pattern, instead), text);
}

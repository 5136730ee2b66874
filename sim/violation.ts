/** What a schedule is looking for: something that must never happen. */
export class Violation extends Error {
  override readonly name = "Violation";
}

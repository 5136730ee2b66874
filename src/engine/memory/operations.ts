/** The operations that were committed, the latest {@link OPERATIONS_KEPT} of them. */
import { operationMismatch } from "../../errors.js";
import { OPERATIONS_KEPT, type Operation } from "../contract.js";

export class Operations {
  /** In the order of their commits. */
  readonly #done = new Map<string, { readonly hash: string; readonly revision: number }>();

  /**
   * The commit of an operation.
   * @throws `operation_mismatch`
   */
  find({ id, hash }: Operation): number | undefined {
    const done = this.#done.get(id);
    if (done !== undefined && done.hash !== hash) throw operationMismatch(id, done.revision);
    return done?.revision;
  }

  add({ id, hash }: Operation, revision: number): void {
    this.#done.set(id, { hash, revision });
    if (this.#done.size <= OPERATIONS_KEPT) return;
    const [oldest] = this.#done.keys();
    if (oldest !== undefined) this.#done.delete(oldest);
  }
}

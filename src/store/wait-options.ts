/** What every call that may wait can be given. */
export interface WaitOptions {
  /**
   * Gives up waiting: in line behind another write of the same session, or between two attempts. The call
   * then rejects with the signal's reason and has written nothing. A commit that was decided is not taken back,
   * and waiting for the disk is not cut short.
   */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Waits for what can be seen but does not tell: looks again and again, with a breath in between so that those who
 * bring it about have the processor.
 */
export async function until(seen: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await seen())) await new Promise((resolve) => setTimeout(resolve, 5));
}

// @ts-check
/** Every operation of a store whose sessions are in memory, in marked regions. */
import { openDirectoryStore } from "sessiondir";
import { argument } from "./conversation.mjs";
import { region } from "./mark.mjs";

const { path, durability, rounds, entryBytes } = argument;
const store = await openDirectoryStore(path, { durability, flushDelayMs: 2 ** 30 });
const text = "x".repeat(entryBytes);
let number = 0;
const next = () => ({ updatedAt: ++number, text });
for (let key = 0; key < 64; key++) await store.put(`session:${key}`, next());
await store.list();

for (let round = 0; round < rounds; round++) {
  await region("getSync", () => store.getSync("session:0"));
  await region("get", () => store.get("session:1"));
  await region("getSync of nothing", () => store.getSync("nobody"));
  await region("update", () => store.update("session:2", (entry) => ({ ...entry, updatedAt: ++number })));
  await region("update without a change", () => store.update("session:2", (entry) => ({ ...entry })));
  await region("put", () => store.put("session:3", next()));
  await region("patch", () => store.patch("session:4", { updatedAt: ++number }));
  await region("transact", () =>
    store.transact(async (tx) => {
      const from = await tx.get("session:5");
      await tx.get("session:6");
      await tx.put("session:5", { ...from, updatedAt: ++number });
    }),
  );
  await region("listSync", () => store.listSync());
  await region("revision", () => store.revision());
  await region("64 puts", async () => {
    await Promise.all(Array.from({ length: 64 }, (_, key) => store.put(`session:${key}`, next())));
  });
}
await store.close();

/** What `require("sessiondir/openclaw")` gives: the ES modules themselves, so that a process has everything once. */
import everything = require("./index.js");
export = everything;

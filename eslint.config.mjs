// ESLint's recommended rules for the editor's modules and their tests.

import { createRequire } from "node:module";

// devtools/setup/javascript.py installs the packages outside the checkout, beside the ESLint that runs.
const require = createRequire(process.argv[1]);
const js = require("@eslint/js");
const globals = require("globals");

export default [
  js.configs.recommended,
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  { files: ["web/js/**"], languageOptions: { globals: globals.browser } },
  { files: ["eslint.config.mjs"], languageOptions: { globals: globals.node } },
  { files: ["tests/web/**"], languageOptions: { globals: { ...globals.node, document: "readonly" } } },
];

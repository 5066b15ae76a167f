// ESLint's recommended rules for the editor's modules and their tests.

import { createRequire } from "node:module";

// devtools/setup/javascript.py installs the packages outside the checkout, beside the ESLint that runs.
const require = createRequire(process.argv[1]);
const js = require("@eslint/js");
const globals = require("globals");

const message = "What belongs to the editor's page is read in workarounds.mjs.";

export default [
  js.configs.recommended,
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  { files: ["web/js/**"], languageOptions: { globals: globals.browser } },
  {
    files: ["web/js/**"],
    // dom.mjs looks for the pack's own style sheet.
    ignores: ["web/js/workarounds.mjs", "web/js/dom.mjs"],
    rules: {
      "no-restricted-properties": [
        "error",
        { object: "document", property: "querySelector", message },
        { object: "document", property: "querySelectorAll", message },
      ],
    },
  },
  { files: ["eslint.config.mjs"], languageOptions: { globals: globals.node } },
  { files: ["tests/web/**"], languageOptions: { globals: { ...globals.node, document: "readonly" } } },
];

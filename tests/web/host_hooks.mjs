// Resolves what the pack imports from ComfyUI to the stand-ins beside this file.

export function resolve(specifier, context, nextResolve) {
  const script = /\/scripts\/(app|api)\.js$/.exec(specifier);
  if (!script) return nextResolve(specifier, context);
  return { url: new URL(`host_${script[1]}.mjs`, import.meta.url).href, shortCircuit: true };
}

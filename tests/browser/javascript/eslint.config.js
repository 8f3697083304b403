import js from "@eslint/js";

const browser = [
  "AbortController", "Audio", "AudioBufferSourceNode", "AudioContext", "AudioWorkletNode", "Blob", "CustomEvent",
  "DOMException", "DelayNode", "Event", "EventTarget", "Float32Array", "GainNode", "IntersectionObserver",
  "MediaStream", "MutationObserver", "Node", "OscillatorNode", "RTCPeerConnection", "ResizeObserver", "URL",
  "cancelAnimationFrame", "clearInterval", "clearTimeout", "console", "devicePixelRatio", "document",
  "getComputedStyle", "localStorage", "matchMedia", "navigator", "performance", "queueMicrotask",
  "requestAnimationFrame", "setInterval", "setTimeout", "structuredClone", "window",
];

export default [
  js.configs.recommended,
  {
    languageOptions: {
      ecmaVersion: 2023,
      sourceType: "module",
      globals: Object.fromEntries(browser.map((name) => [name, "readonly"])),
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "consistent-return": "error",
      curly: ["error", "multi-line"],
      eqeqeq: "error",
      "no-eval": "error",
      "no-implicit-globals": "error",
      "no-shadow": "error",
      "no-unused-vars": ["error", { args: "after-used" }],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
    },
  },
];

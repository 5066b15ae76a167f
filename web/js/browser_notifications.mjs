// @ts-check
// The browser's own notifications. The permission belongs to one browser, so the user's choice is
// stored there too, and not in ComfyUI's settings.

/** @import { Notice } from "./notices.mjs" */

const CHOICE = "Pika.Notifications";

/** @typedef {"on" | "off" | "blocked" | "unsupported"} NotificationState */

/**
 * Whether notifications are shown. Without the user's choice they are off.
 * @returns {NotificationState}
 */
export function notificationState() {
  // Browsers refuse them to a page that is neither on this computer nor served with TLS.
  if (!globalThis.isSecureContext || !globalThis.Notification) return "unsupported";
  if (Notification.permission === "denied") return "blocked";
  return isChosen() && Notification.permission === "granted" ? "on" : "off";
}

/**
 * Switches notifications on or off. To be called by a click only: it may ask for the permission.
 * @param {boolean} isOn
 * @returns {Promise<NotificationState>} the state afterwards
 */
export async function switchNotifications(isOn) {
  if (isOn && notificationState() === "off") await Notification.requestPermission();
  choose(isOn);
  return notificationState();
}

/**
 * Shows a notification, where they are on.
 * @param {Notice} notice
 * @returns {() => void} removes it
 */
export function notify({ key, title, text, open }) {
  if (notificationState() !== "on") return () => {};
  try {
    // With the same tag a second one replaces the first, also from another tab.
    const notification = new Notification(title, { body: text, tag: `pika ${key}` });
    notification.onclick = () => {
      globalThis.focus();
      notification.close();
      open();
    };
    return () => notification.close();
  } catch {
    // Browsers of phones have the class, and refuse to create one.
    return () => {};
  }
}

function isChosen() {
  try {
    return localStorage.getItem(CHOICE) === "on";
  } catch {
    return false; // the browser stores nothing for this page
  }
}

/** @param {boolean} isOn */
function choose(isOn) {
  if (isOn) localStorage.setItem(CHOICE, "on");
  else localStorage.removeItem(CHOICE);
}

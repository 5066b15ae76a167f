// @ts-check
// Types for the check of the other modules: the JSON of the pack's routes, and the editor's objects.
// This module has no code.

/** @import { ComfyApp, ComfyExtension } from "@comfyorg/comfyui-frontend-types" */

/**
 * Where a journal entry stands.
 * @typedef {"intended" | "sent" | "submitted" | "running" | "finished" | "saved" | "failed" | "refused" | "unknown"} TaskState
 */

/**
 * A file in ComfyUI's output folder, as the route /view takes it.
 * @typedef {{ filename: string, subfolder: string, type: "output" }} OutputFile
 */

/**
 * One journal entry, as the server lists it.
 * @typedef {object} Task
 * @property {number} number the number of the journal entry; a newer one has a higher number
 * @property {string | null} task_id the gateway's id; null until the gateway has given one
 * @property {TaskState} state
 * @property {string} prompt at most 500 characters of it
 * @property {number} created_at seconds since the epoch
 * @property {number} progress percent
 * @property {string} error the last error; empty where there is none
 * @property {OutputFile | null} file null where no file is in the output folder
 * @property {"video" | "image" | ""} kind empty where no file was saved
 * @property {boolean} forgotten whether the user removed it from the list
 * @property {number | null} [price] what it has cost; null where that is not known. A server that was
 *   not restarted after an update sends neither this nor the estimate.
 * @property {string} [take] which take of the same request; as text, since it may be a large number
 * @property {TaskSettings} [settings]
 * @property {number | null} [estimate] what it was expected to cost; null where no price was known
 */

/**
 * What a card shows of a request; all of it may be missing.
 * @typedef {{ model?: string, pikaffect?: string, ratio?: string, image?: boolean, video?: boolean }} TaskSettings
 */

/**
 * Nodes with the settings of a task.
 * @typedef {object} TaskNodes
 * @property {Record<string, Record<string, string | number | boolean>>} nodes the inputs by the node's id
 * @property {("image" | "video")[]} media what must be connected: the journal does not have it
 */

/**
 * Amounts in the unit of the gateway.
 * @typedef {object} Balance
 * @property {number | null} quota null where there is no limit
 * @property {number} used
 * @property {number | null} left null where there is no limit
 * @property {boolean} unlimited
 */

/**
 * @typedef {object} BalanceAnswer
 * @property {Balance | null} balance as it was read last; null where it is not known
 * @property {boolean | null} offered whether the gateway reports it; null where that is not known yet
 * @property {string} problem why it could not be read the last time; empty where it could
 * @property {string} currency what the user calls the unit; may be empty
 */

/**
 * A task with what the page knows about it.
 * @typedef {Task & { elsewhere: boolean }} KnownTask `elsewhere`: it belongs to another gateway
 */

/**
 * @typedef {object} TaskPage
 * @property {Task[]} tasks
 * @property {number} cursor what to ask with for the changes from now on
 * @property {boolean} more whether there are, or may be, further tasks
 * @property {number | null} [before] where the next page begins; not in the changes
 * @property {number} [count] how many tasks match; only in the first page of a filter
 */

/**
 * What was spent since a time.
 * @typedef {object} Totals
 * @property {number} count how many tasks were or may have been paid
 * @property {number} amount what those with a known price have cost, in the unit of the gateway
 * @property {number} unpriced how many of this gateway have no known price
 * @property {number} elsewhere how many belong to another gateway, whose prices have another unit
 */

/** @typedef {{ today: Totals, month: Totals, currency: string }} TotalsAnswer */

/**
 * The answer to a request to refresh one task.
 * @typedef {object} RefreshedTask
 * @property {Task} task
 * @property {boolean} asked whether the gateway was asked: only for a task of its own
 */

/**
 * @typedef {object} SentRequest
 * @property {object} request images and videos are described only
 * @property {string} [answer] the gateway's answer, if it left the outcome unknown. Empty where there
 *   is none; a server that was not restarted after an update does not send it.
 */

/** @typedef {"environment" | "file" | "default" | "none"} SettingSource */

/**
 * @template Value
 * @typedef {object} Setting
 * @property {Value | string} value a stored value that cannot be used comes as text
 * @property {Value} default
 * @property {SettingSource} source
 */

/** @typedef {Setting<number> & { min: number, max: number }} NumberSetting */
/** @typedef {Omit<NumberSetting, "value" | "default"> & { value: number | string | null, default: null }} OptionalNumberSetting */
/** @typedef {Setting<string> & { choices: string[] }} ChoiceSetting */
/** @typedef {Setting<string> & { locked: "" | "environment" | "key" }} AddressSetting */
/** @typedef {{ set: boolean, hint: string, source: SettingSource }} KeySetting `hint`: the last characters */

/**
 * @typedef {object} Settings
 * @property {KeySetting} api_key
 * @property {AddressSetting} base_url
 * @property {ChoiceSetting} base64_style
 * @property {NumberSetting} max_requests
 * @property {NumberSetting} max_body_mb
 * @property {NumberSetting} daily_limit
 * @property {NumberSetting} run_limit
 * @property {NumberSetting} daily_cost_limit in the unit of the balance
 * @property {NumberSetting} min_balance
 * @property {OptionalNumberSetting} price null where it is learned from the gateway
 * @property {Setting<string>} currency
 * @property {string} problem why the settings cannot be used; empty where they can
 */

/** @typedef {"good" | "no_key" | "bad_key" | "bad_address" | "trouble"} Verdict */

/**
 * The texts of one node, as in locales/<language>/nodeDefs.json.
 * @typedef {object} NodeTexts
 * @property {string} display_name
 * @property {string} description
 * @property {Record<string, { name: string, tooltip: string }>} inputs
 * @property {Record<string, { name: string, tooltip: string }>} outputs by their index
 */

/** @typedef {NonNullable<Parameters<NonNullable<ComfyExtension["nodeCreated"]>>[0]>} GraphNode */
/** @typedef {NonNullable<GraphNode["graph"]>} Graph */
/** @typedef {NonNullable<GraphNode["widgets"]>[number]} Widget */
/** @typedef {ComfyApp["canvas"]} GraphCanvas */

/**
 * An input of a node, as the server describes it: its type or its choices, then the details.
 * @typedef {[type: string | string[], details?: { tooltip?: string, placeholder?: string, multiline?: boolean, options?: string[] }]} InputDefinition
 */

/**
 * A node, as the server describes it; only what the pack reads. The editor's published types lack it.
 * @typedef {object} NodeDefinition
 * @property {string} name
 * @property {string} category
 * @property {string} display_name
 * @property {string} description
 * @property {string[]} [output_tooltips]
 * @property {{ required?: Record<string, InputDefinition>, optional?: Record<string, InputDefinition> }} [input]
 */

/**
 * What a node shows after a run; only what the pack reads.
 * @typedef {object} NodeOutput
 * @property {object[]} [images]
 * @property {boolean[]} [animated]
 * @property {string[]} [text]
 * @property {string[]} [pika_tasks] the whole ids of the tasks that the texts are about
 */

export {};

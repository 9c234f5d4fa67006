/** Alarms, and asking the tracker which ones it has heard. */
import * as v from 'valibot'
import { answer, envelope } from './parts.ts'
import { Count, FileId, Name, Text, Time } from './scalars.ts'

export const alarmCodes = [
  'COMPONENT_FAILURE',
  'INCONSISTENT_REQUEST',
  'CHECKSUM_ALARM',
  'FAILED_TRANSFER',
  'FAILED_OPERATION',
  'INVALID_MESSAGE',
  'INVALID_MESSAGE_VERSION',
  'TIMEOUT',
  'INTEGRITY_ISSUE',
] as const
export type AlarmCode = (typeof alarmCodes)[number]
export const Alarm = v.object({
  ...envelope,
  type: v.literal('Alarm'),
  alarmCode: v.picklist(alarmCodes),
  alarmText: Text,
  fileId: v.optional(FileId),
})

/** An alarm as the tracker keeps it. */
export const HeardAlarm = v.object({
  /** Place in the order of hearing; begins at 1, never repeats. */
  sequence: Count,
  /** By the tracker's clock: that of a board in trouble may be wrong. */
  heardAt: Time,
  /** Id of its message: the same alarm comes to others by the same. */
  id: v.string(),
  sentAt: Time,
  component: Name,
  code: v.picklist(alarmCodes),
  text: Text,
  collection: v.optional(Name),
  fileId: v.optional(FileId),
})
export type HeardAlarm = v.InferOutput<typeof HeardAlarm>

/** Beyond theirs: an alarm service needs no database of its own. Asked of the tracker, about the whole archive. */
export const GetAlarmsRequest = v.object({
  ...envelope,
  type: v.literal('GetAlarmsRequest'),
  replyTo: v.string(),
  expiresAt: Time,
  code: v.optional(v.picklist(alarmCodes)),
  component: v.optional(Name),
  /** Inclusive window over `heardAt`. */
  minTimestamp: v.optional(Time),
  maxTimestamp: v.optional(Time),
  maxResults: v.optional(Count),
  /** Exclusive: the last sequence of the page before. */
  after: v.optional(Count),
})
export const GetAlarmsFinalResponse = v.object({
  ...answer,
  collection: v.optional(Name),
  type: v.literal('GetAlarmsFinalResponse'),
  alarms: v.array(HeardAlarm),
  partialResult: v.boolean(),
  after: v.optional(Count),
})

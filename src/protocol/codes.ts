/** The response codes, named as Bitrepository.org names them. */
import * as v from 'valibot'

export const responseCodes = {
  IDENTIFICATION_POSITIVE: 'The pillar should and can do it.',
  IDENTIFICATION_NEGATIVE: 'The pillar will not do it; the text says why.',
  OPERATION_ACCEPTED_PROGRESS: 'The request is accepted and will be answered, after restarts too.',
  OPERATION_PROGRESS: 'Still at it.',
  OPERATION_COMPLETED: 'Done.',
  FAILURE: 'Not done, for a reason no other code tells.',
  DUPLICATE_FILE_FAILURE: 'Other bytes are stored, being received or promised under this id.',
  FILE_NOT_FOUND_FAILURE: 'The pillar does not have this file.',
  NEW_FILE_CHECKSUM_FAILURE: 'The bytes that came do not have the checksum that was said.',
  EXISTING_FILE_CHECKSUM_FAILURE: 'The checksum given for the existing file is not right.',
  FILE_TRANSFER_FAILURE: 'The bytes could not be moved.',
  REQUEST_NOT_UNDERSTOOD_FAILURE:
    'The request is malformed, too new, expired, or contradicts an earlier one.',
  REQUEST_NOT_SUPPORTED: 'This pillar does not do such things.',
} as const

export type ResponseCode = keyof typeof responseCodes

export const Code = v.picklist(Object.keys(responseCodes) as ResponseCode[])

/** Codes after which an operation goes on. */
export const isProgress = (code: ResponseCode): boolean =>
  code === 'OPERATION_ACCEPTED_PROGRESS' || code === 'OPERATION_PROGRESS'

export const isFine = (code: ResponseCode): boolean =>
  code === 'OPERATION_COMPLETED' || code === 'IDENTIFICATION_POSITIVE'

// The configuration key for an OVSDB server's address. It is checked when the configuration is read.
import { z } from 'zod';
import { messageOf } from '../base/errors.ts';
import { parseOvsdbAddress } from './ovsdb/address.ts';

export const ovsdbAddress = z.string().superRefine((text, context) => {
  try {
    parseOvsdbAddress(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) });
  }
});

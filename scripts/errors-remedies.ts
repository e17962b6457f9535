/**
 * Remedies for errors whose titles don't include one, by code; used only in `docs/errors.md`.
 * Usually the response's `detail` says more than a title can; dialects use the titles of their
 * system.
 */
const detail = "The response's `detail` says why. Correct that, then retry.";
const exists = "It exists already. List the tenant's to find it.";

export const remedies: Readonly<Record<string, string>> = {
  already_member: "Use the existing user. Look it up by its e-mail address.",
  administrators_only: "Ask an owner or administrator of the tenant.",
  bad_request: detail,
  client_certificate_exists: exists,
  database_unhealthy:
    "Check that PostgreSQL runs and accepts connections. The server's log has the cause.",
  email_domain_exists: exists,
  email_domain_refused:
    "Sign in with an address in an allowed domain, or ask an administrator to add yours to `allowed_domains`.",
  event_not_readable:
    "The response's `detail` names the permission. Ask an administrator to grant it.",
  host_not_registered: detail,
  invalid_credentials: "Check both and try again. The answer is the same for an unknown user.",
  invalid_template: detail,
  invalid_template_vars:
    "Send a value for each variable that the template declares, and no others.",
  invalid_token: "Refresh the token, or sign in again.",
  invalid_value:
    "Compare the values with the route's schema. Shorten texts, and check numbers and dates.",
  malformed_csv: detail,
  malformed_json: detail,
  no_account: "Sign in to the other tenant as its user.",
  no_default_tenant: "Name a tenant by host or X-Tenant, or set `DEFAULT_TENANT`.",
  no_tenant_of_host: "Register the host for a tenant, or use a registered one.",
  not_transferable: "Choose such a user, or let the new owner link an account first.",
  notification_not_retryable:
    "Fetch the notification and check its status. Send a new one instead.",
  notification_suppression_exists:
    "Nothing to do. To send to the address again, delete its suppression.",
  order_product_not_found: "Check the products' ids.",
  order_user_not_found: "Check the user's id.",
  own_way_only: "Sign in with a password or a passkey.",
  owners_only: "Ask an owner of the organization.",
  permission_denied:
    "`permission` names the permission that you lack. Ask an administrator of the tenant to grant it.",
  permission_not_in_role: "Nothing to revoke. Fetch the role to see its permissions.",
  personal_only: "Sign in as that person, in a session of their own.",
  quota_exceeded:
    "The response's `detail` names the quota. Delete something or wait until the next day, or ask for a larger plan.",
  rate_limit_exceeded:
    "Wait for `Retry-After`. `policy` names the limit, `setting` the operator's setting.",
  registration_closed:
    "Ask for an invitation, or join by your e-mail domain: the response's `detail` says which.",
  return_refused: "Send a URL with one of those origins.",
  role_not_assigned: "Nothing to revoke. Fetch the user to see their roles.",
  server_exists: "Use the entry that there is (`detail` names it), or give another URL.",
  server_unusable: detail,
  sns_message_refused: "Check that `SES_FEEDBACK_TOPIC_ARN` is the ARN of the topic that sends.",
  tenant_access_denied:
    "Name the tenant that your credential belongs to, by host and X-Tenant, or sign in to the other.",
  tenant_not_registered: detail,
  unfit_certificate: detail,
  unknown_notification_template:
    "Check `template_name`, that the template is active, and that it is for this channel.",
  unknown_permission: "GET /api/v1/permissions lists the permissions.",
  unknown_verification_token: "Request a new verification mail.",
  unsupported_media_type: "The response's `detail` names the type that the route takes.",
  user_gone: "Sign in again.",
  value_refused: "Compare the values with the route's schema.",
  webhook_address_refused: "Give such a URL. Private and loopback addresses are refused.",
};

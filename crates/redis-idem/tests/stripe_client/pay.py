"""Payments by the stripe package, as its users write them; one line of output each."""

import sys

import stripe

client = stripe.StripeClient(
    "sk_test_none", base_addresses={"api": sys.argv[1]}, max_network_retries=2
)


def create(name, **options):
    return client.v1.customers.create({"name": name}, options)


def say(*customers):
    for customer in customers:
        headers = customer.last_response.headers
        print(customer.id, customer.name, headers.get("idempotent-replayed", "new"))


# The first response is lost. The package sends the request again, with the key that it made up.
say(create("Ann"))
# The same key twice, by the program itself.
say(*[create("Bob", idempotency_key="order-1") for _ in range(2)])
# The same key for something else.
try:
    create("Eve", idempotency_key="order-1")
except stripe.StripeError as error:
    print(error.http_status, "Idempotency-Key is already used" in error.http_body)

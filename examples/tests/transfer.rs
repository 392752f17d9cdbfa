//! What a transfer does.

use bank::{AccountError, AccountEvent, AccountId, Transfer};
use factum_examples::bank;
use factum_testkit::given;

const ADA: AccountId = AccountId(1);
const BOB: AccountId = AccountId(2);

fn opened(customer: &str) -> AccountEvent {
    let customer = customer.to_owned();
    AccountEvent::Opened { customer }
}

#[test]
fn a_transfer_takes_here_and_gives_there() {
    given((
        [opened("Ada"), AccountEvent::Deposited { amount: 100 }],
        [opened("Bob")],
    ))
    .when(Transfer {
        from: ADA,
        to: BOB,
        amount: 30,
    })
    .then((
        [AccountEvent::Withdrawn { amount: 30 }],
        [AccountEvent::Deposited { amount: 30 }],
    ));
}

#[test]
fn a_transfer_to_an_account_that_is_not_open_takes_nothing() {
    given(([opened("Ada"), AccountEvent::Deposited { amount: 100 }], ()))
        .when(Transfer {
            from: ADA,
            to: BOB,
            amount: 30,
        })
        .then_rejected(AccountError::NotOpen);
}

//! What one account does.

use bank::{AccountError, AccountEvent, AccountId, Close, Deposit, Withdraw};
use factum_examples::bank;
use factum_testkit::given;

const ADA: AccountId = AccountId(1);

fn opened(customer: &str) -> AccountEvent {
    let customer = customer.to_owned();
    AccountEvent::Opened { customer }
}

#[test]
fn a_withdrawal_takes_money_that_is_there() {
    given([opened("Ada"), AccountEvent::Deposited { amount: 100 }])
        .when(Withdraw {
            account: ADA,
            amount: 30,
        })
        .then([AccountEvent::Withdrawn { amount: 30 }]);
}

#[test]
fn a_withdrawal_of_more_is_rejected() {
    given([opened("Ada"), AccountEvent::Deposited { amount: 100 }])
        .when(Withdraw {
            account: ADA,
            amount: 130,
        })
        .then_rejected(AccountError::TooLittle { balance: 100 });
}

#[test]
fn an_account_that_is_not_open_takes_nothing() {
    given(())
        .when(Deposit {
            account: ADA,
            amount: 100,
        })
        .then_rejected(AccountError::NotOpen);
}

#[test]
fn an_account_with_money_in_it_stays_open() {
    given([opened("Ada"), AccountEvent::Deposited { amount: 1 }])
        .when(Close { account: ADA })
        .then_rejected(AccountError::NotEmpty { balance: 1 });
}

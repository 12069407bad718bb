//! Types that hold secrets lack the traits that would print or serialize them, so a leak by accident does not compile.
//!
//! The traits are checked directly. Programs that must not compile would need every dependency built a second time.

use std::borrow::Borrow;
use std::fmt::{Debug, Display};
use std::marker::PhantomData;
use std::ops::Deref;

use serde::Serialize;
use strongroom::broker::{GivenSecret, LiveSecret, UsableSecret};
use strongroom::oauth::{AuthorizationCode, CodeVerifier, Grant, StateToken};
use strongroom::secret::Secret;
use strongroom::vault::{
    CredentialSecret, CredentialUpdate, MasterKey, NewCredential, PendingAuthorization, QueuedRevocation, Refreshed,
    Tokens,
};

/// True if a type has a trait. If it does, the inherent constant is found before the trait's.
macro_rules! has {
    ($type:ty: $wanted:path) => {{
        #[allow(dead_code, reason = "where the type has the trait, nobody finds this one's constant")]
        trait Otherwise {
            const ANSWER: bool = false;
        }
        impl<T: ?Sized> Otherwise for T {}

        #[allow(dead_code, reason = "it is there for its constant")]
        struct Asked<T: ?Sized>(PhantomData<T>);
        #[allow(dead_code, reason = "where the type has not the trait, nobody finds it")]
        impl<T: ?Sized + $wanted> Asked<T> {
            const ANSWER: bool = true;
        }
        <Asked<$type>>::ANSWER
    }};
}

#[test]
fn secret_has_neither_serialize_nor_display() {
    assert!(has!(String: Serialize) && has!(String: Display) && has!(String: AsRef<str>), "the question itself");
    assert!(!has!(Secret: Serialize), "json!({{\"token\": secret}}) must not compile");
    assert!(!has!(Secret: Display) && !has!(Secret: ToString), "nor format!(\"{{secret}}\")");
    assert!(!has!(Secret: AsRef<str>) && !has!(Secret: Deref) && !has!(Secret: Borrow<str>), "nor &*secret");
    assert!(!has!(Secret: Into<String>) && !has!(Secret: PartialEq), "nor secret == guess, which tells by its time");
}

#[test]
fn secret_holders_cannot_be_printed_or_serialized() {
    assert!(has!(String: Debug) && !has!(dyn Fn(): Debug), "the question itself");
    assert!(
        !has!(CredentialSecret: Debug)
            && !has!(Tokens: Debug)
            && !has!(NewCredential: Debug)
            && !has!(MasterKey: Debug)
    );
    assert!(!has!(PendingAuthorization: Debug) && !has!(QueuedRevocation: Debug));
    assert!(!has!(CredentialSecret: Serialize) && !has!(Tokens: Serialize) && !has!(NewCredential: Serialize));
    assert!(
        !has!(LiveSecret: Debug)
            && !has!(UsableSecret: Debug)
            && !has!(UsableSecret: Serialize)
            && !has!(GivenSecret: Debug)
            && !has!(LiveSecret: Serialize)
            && !has!(CredentialUpdate: Debug)
            && !has!(Refreshed: Debug)
    );
    assert!(!has!(MasterKey: Serialize) && !has!(PendingAuthorization: Serialize) && !has!(Grant: Serialize));
    assert!(!has!(StateToken: Serialize) && !has!(CodeVerifier: Serialize) && !has!(AuthorizationCode: Serialize));
    assert!(!has!(StateToken: Display) && !has!(CodeVerifier: Display) && !has!(AuthorizationCode: Display));
}

/// A struct with a secret and `#[derive(Debug)]`, as is easily written by accident.
#[test]
fn derived_debug_prints_no_secret() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "it is there to be printed")]
    struct Login {
        user: &'static str,
        password: Option<Secret>,
    }

    let printed = format!("{:#?}", Login { user: "alice", password: Some(Secret::new("hunter2")) });
    assert!(printed.contains("alice") && printed.contains("[secret]"), "{printed}");
    assert!(!printed.contains("hunter") && !printed.contains('7'), "not even its length: {printed}");
}

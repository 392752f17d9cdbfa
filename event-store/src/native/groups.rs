//! The service of consumer groups, on the [engine](crate::groups).

mod consume;
mod messages;
mod status;

use factum_store_protocol::refusal::store_status;
use factum_store_protocol::v1;
use factum_store_protocol::v1::consumer_group_service_server::ConsumerGroupService;
use factum_store_protocol::v1::group_settings::Start;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming, async_trait};

use crate::access::{Permission, Stores};
use crate::groups::Groups;
use crate::groups::catalog::{self, GroupProgress, MAX_LIST};
use crate::groups::dead_letters::{self, LetterRemoval};
use crate::groups::error::GroupError;
use crate::groups::group_document::{GroupName, VersionedGroup};
use crate::log_head::read_head;
use crate::messages::Messages;
use status::group_status;

/// The service of consumer groups. A clone shares the groups.
#[derive(Clone)]
pub struct NativeGroups {
    stores: Stores,
    groups: Groups,
    /// Becomes `true` when the server stops.
    stop: watch::Receiver<bool>,
}

impl NativeGroups {
    /// Creates the service.
    #[must_use]
    pub fn new(stores: Stores, groups: Groups, stop: watch::Receiver<bool>) -> Self {
        Self {
            stores,
            groups,
            stop,
        }
    }

    /// Checks that the caller may manage the group, and returns its name.
    fn authorize<T>(
        &self,
        request: &Request<T>,
        field: &str,
        name: &str,
    ) -> Result<GroupName, Status> {
        let principal = self.stores.principal(request)?;
        let name = GroupName::new(field, name).map_err(|error| group_status(&error))?;
        let permitted = principal.require(Permission::Groups, name.as_str());
        permitted.map_err(|error| store_status(&error))?;
        Ok(name)
    }

    /// Checks that the caller may manage the group and read all its events, and returns its name.
    async fn authorize_events<T>(
        &self,
        request: &Request<T>,
        field: &str,
        name: &str,
    ) -> Result<GroupName, Status> {
        let principal = self.stores.principal(request)?;
        let name = self.authorize(request, field, name)?;
        let group = VersionedGroup::read(&**self.groups.store(), &name).await;
        let group = group.map_err(|error| group_status(&error))?;
        let permitted = group.document.settings.scope.require_read(&principal);
        permitted.map_err(|error| store_status(&error))?;
        Ok(name)
    }

    async fn describe(&self, name: &GroupName) -> Result<v1::Group, Status> {
        let described = catalog::describe(&**self.groups.store(), name).await;
        let progress = described.map_err(|error| group_status(&error))?;
        let consumers = self.groups.consumers(name).await;
        Ok(messages::group(&progress, consumers))
    }

    /// Notifies the actor of a change, and returns the group.
    async fn changed(
        &self,
        name: &GroupName,
        changed: Result<(), GroupError>,
    ) -> Result<v1::Group, Status> {
        changed.map_err(|error| group_status(&error))?;
        self.groups.reload(name).await;
        self.describe(name).await
    }
}

#[async_trait]
impl ConsumerGroupService for NativeGroups {
    type ConsumeStream = Messages<v1::ConsumeResponse>;

    async fn create_group(
        &self,
        request: Request<v1::CreateGroupRequest>,
    ) -> Result<Response<v1::CreateGroupResponse>, Status> {
        let name = messages::new_name(&request.get_ref().name);
        let name = name.map_err(|error| group_status(&error))?;
        self.authorize(&request, "name", name.as_str())?;
        let principal = self.stores.principal(&request)?;
        let request = request.into_inner();
        let message = request.settings.unwrap_or_default();
        let start = message.start;
        let settings = messages::settings(message).map_err(|error| group_status(&error))?;
        let permitted = settings.scope.require_read(&principal);
        permitted.map_err(|error| store_status(&error))?;
        let store = &**self.groups.store();
        let start = match start {
            None => 0,
            Some(Start::After(position)) => position,
            Some(Start::LiveOnly(_)) => {
                let head = read_head(store).await;
                head.map_err(|error| group_status(&error.into()))?.get()
            }
        };
        let created = catalog::create(store, &name, settings, start).await;
        let group = Some(self.changed(&name, created).await?);
        Ok(Response::new(v1::CreateGroupResponse { group }))
    }

    async fn update_group(
        &self,
        request: Request<v1::UpdateGroupRequest>,
    ) -> Result<Response<v1::UpdateGroupResponse>, Status> {
        let name = self
            .authorize_events(&request, "name", &request.get_ref().name)
            .await?;
        let principal = self.stores.principal(&request)?;
        let request = request.into_inner();
        let message = request.settings.unwrap_or_default();
        if message.start.is_some() {
            let rule = "it applies to new groups only; use ResetGroup";
            return Err(group_status(&GroupError::invalid("settings.start", rule)));
        }
        let settings = messages::settings(message).map_err(|error| group_status(&error))?;
        let permitted = settings.scope.require_read(&principal);
        permitted.map_err(|error| store_status(&error))?;
        let store = &**self.groups.store();
        let updated = catalog::update(store, &name, &settings, request.if_generation).await;
        let group = Some(self.changed(&name, updated).await?);
        Ok(Response::new(v1::UpdateGroupResponse { group }))
    }

    async fn delete_group(
        &self,
        request: Request<v1::DeleteGroupRequest>,
    ) -> Result<Response<v1::DeleteGroupResponse>, Status> {
        let name = self.authorize(&request, "name", &request.get_ref().name)?;
        let deleted = catalog::delete(&**self.groups.store(), &name).await;
        deleted.map_err(|error| group_status(&error))?;
        self.groups.reload(&name).await;
        Ok(Response::new(v1::DeleteGroupResponse {}))
    }

    async fn describe_group(
        &self,
        request: Request<v1::DescribeGroupRequest>,
    ) -> Result<Response<v1::DescribeGroupResponse>, Status> {
        let name = self.authorize(&request, "name", &request.get_ref().name)?;
        let group = Some(self.describe(&name).await?);
        Ok(Response::new(v1::DescribeGroupResponse { group }))
    }

    async fn list_groups(
        &self,
        request: Request<v1::ListGroupsRequest>,
    ) -> Result<Response<v1::ListGroupsResponse>, Status> {
        let principal = self.stores.principal(&request)?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let after = match &*request.page_token {
            "" => None,
            name => {
                let name = GroupName::new("page_token", name);
                Some(name.map_err(|error| group_status(&error))?)
            }
        };
        let listed = catalog::list(&**self.groups.store(), after.as_ref(), limit).await;
        let listed = listed.map_err(|error| group_status(&error))?;
        let next = listed.last().filter(|_| listed.len() == limit);
        let next_page_token = next.map(|group| group.name.as_str().to_owned());
        let mut groups = Vec::with_capacity(listed.len());
        // The caller sees only the groups that it may manage, so a page may have fewer groups, or none.
        let name = |group: &GroupProgress| group.name.as_str().to_owned();
        let is_permitted =
            |group: &&GroupProgress| principal.permits(Permission::Groups, &name(group));
        for progress in listed.iter().filter(is_permitted) {
            let consumers = self.groups.consumers(&progress.name).await;
            groups.push(messages::group(progress, consumers));
        }
        Ok(Response::new(v1::ListGroupsResponse {
            groups,
            next_page_token: next_page_token.unwrap_or_default(),
        }))
    }

    async fn reset_group(
        &self,
        request: Request<v1::ResetGroupRequest>,
    ) -> Result<Response<v1::ResetGroupResponse>, Status> {
        let name = self.authorize(&request, "name", &request.get_ref().name)?;
        let after = request.get_ref().after;
        let reset = catalog::reset(&**self.groups.store(), &name, after).await;
        let group = Some(self.changed(&name, reset).await?);
        Ok(Response::new(v1::ResetGroupResponse { group }))
    }

    async fn resume_group(
        &self,
        request: Request<v1::ResumeGroupRequest>,
    ) -> Result<Response<v1::ResumeGroupResponse>, Status> {
        let name = self.authorize(&request, "name", &request.get_ref().name)?;
        let resumed = catalog::resume(&**self.groups.store(), &name).await;
        let group = Some(self.changed(&name, resumed).await?);
        Ok(Response::new(v1::ResumeGroupResponse { group }))
    }

    async fn consume(
        &self,
        request: Request<Streaming<v1::ConsumeRequest>>,
    ) -> Result<Response<Self::ConsumeStream>, Status> {
        let principal = self.stores.principal(&request)?;
        let (requests, stop) = (request.into_inner(), self.stop.clone());
        let answers = consume::consume(&self.groups, principal, requests, stop).await?;
        Ok(Response::new(Box::pin(answers)))
    }

    async fn list_dead_letters(
        &self,
        request: Request<v1::ListDeadLettersRequest>,
    ) -> Result<Response<v1::ListDeadLettersResponse>, Status> {
        let name = self
            .authorize_events(&request, "group", &request.get_ref().group)
            .await?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let after = match &*request.page_token {
            "" => 0,
            token => token.parse().map_err(|_| {
                let rule = "expected the token of the previous page";
                group_status(&GroupError::invalid("page_token", rule))
            })?,
        };
        let store = &**self.groups.store();
        let listed = dead_letters::list(store, &name, after, limit).await;
        let listed = listed.map_err(|error| group_status(&error))?;
        let next = listed.last().filter(|_| listed.len() == limit);
        let next_page_token = next.map(|letter| letter.position.to_string());
        let mut dead_letters = Vec::with_capacity(listed.len());
        for letter in listed {
            let event = dead_letters::event(store, letter.position).await;
            let event = event.map_err(|error| group_status(&error.into()))?;
            dead_letters.push(messages::dead_letter(letter, event.as_ref()));
        }
        Ok(Response::new(v1::ListDeadLettersResponse {
            dead_letters,
            next_page_token: next_page_token.unwrap_or_default(),
        }))
    }

    async fn retry_dead_letters(
        &self,
        request: Request<v1::RetryDeadLettersRequest>,
    ) -> Result<Response<v1::RetryDeadLettersResponse>, Status> {
        let name = self.authorize(&request, "group", &request.get_ref().group)?;
        let positions = &request.get_ref().positions;
        let store = &**self.groups.store();
        let retried = dead_letters::remove(store, &name, positions, LetterRemoval::Retry).await;
        let retried = retried.map_err(|error| group_status(&error))?;
        self.groups.reload(&name).await;
        Ok(Response::new(v1::RetryDeadLettersResponse { retried }))
    }

    async fn discard_dead_letters(
        &self,
        request: Request<v1::DiscardDeadLettersRequest>,
    ) -> Result<Response<v1::DiscardDeadLettersResponse>, Status> {
        let name = self.authorize(&request, "group", &request.get_ref().group)?;
        let positions = &request.get_ref().positions;
        let store = &**self.groups.store();
        let discarded = dead_letters::remove(store, &name, positions, LetterRemoval::Discard).await;
        let discarded = discarded.map_err(|error| group_status(&error))?;
        self.groups.reload(&name).await;
        Ok(Response::new(v1::DiscardDeadLettersResponse { discarded }))
    }
}

fn page_size(size: u32) -> Result<usize, Status> {
    match size as usize {
        0 => Ok(MAX_LIST),
        size if size <= MAX_LIST => Ok(size),
        size => {
            let rule = format!("expected 1 to {MAX_LIST}, got {size}");
            Err(group_status(&GroupError::invalid("page_size", rule)))
        }
    }
}

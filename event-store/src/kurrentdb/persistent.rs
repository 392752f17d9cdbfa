//! Persistent subscriptions: [consumer groups](crate::groups) in KurrentDB's protocol.
//!
//! A group `NAME` on a stream is the consumer group `STREAM::NAME` with one partition without a key: its events go to
//! any consumer, by the strategy of the group. An event that is parked is a dead letter.

mod consume;
mod group;
mod info;
mod settings;

use factum_compatible_protocols::kurrentdb::client::Empty;
use factum_compatible_protocols::kurrentdb::client::persistent_subscriptions::persistent_subscriptions_server::PersistentSubscriptions;
use factum_compatible_protocols::kurrentdb::client::persistent_subscriptions::{
    CreateReq, CreateResp, DeleteReq, DeleteResp, GetInfoReq, GetInfoResp, ListReq, ListResp,
    ReadReq, ReadResp, ReplayParkedReq, ReplayParkedResp, SubscriptionInfo, TruncateParkedReq,
    TruncateParkedResp, UpdateReq, UpdateResp, list_req, replay_parked_req, truncate_parked_req,
};
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::errors::Refused;
use crate::access::{Permission, Stores};
use crate::groups::Groups;
use crate::groups::catalog::{self, MAX_LIST};
use crate::groups::dead_letters::{self, LetterRemoval, MAX_RETRIES};
use crate::messages::Messages;
use group::PersistentGroup;
use settings::ProtocolSettings;

/// The service of persistent subscriptions. A clone shares the groups.
#[derive(Clone)]
pub struct PersistentServices {
    stores: Stores,
    groups: Groups,
    stop: watch::Receiver<bool>,
}

impl PersistentServices {
    /// Creates the service.
    #[must_use]
    pub fn new(stores: Stores, groups: Groups, stop: watch::Receiver<bool>) -> Self {
        Self {
            stores,
            groups,
            stop,
        }
    }

    /// Checks that the caller may manage a group.
    fn authorize<T>(&self, request: &Request<T>, group: &PersistentGroup) -> Result<(), Status> {
        let principal = self.stores.principal(request)?;
        let permitted = principal.require(Permission::Groups, group.name.as_str());
        permitted.map_err(|error| Refused::from(error).status("Group"))
    }

    /// Checks that the caller may manage a group and read its events.
    fn authorize_events<T>(
        &self,
        request: &Request<T>,
        group: &PersistentGroup,
    ) -> Result<(), Status> {
        self.authorize(request, group)?;
        let principal = self.stores.principal(request)?;
        let permitted = group.scope.require_read(&principal);
        permitted.map_err(|error| Refused::from(error).status("Group"))
    }

    async fn info(&self, group: &PersistentGroup) -> Result<SubscriptionInfo, Status> {
        let store = &**self.groups.store();
        let progress = catalog::describe(store, &group.name).await;
        let progress = progress.map_err(|error| group.status(&error))?;
        let consumers = self.groups.consumers(&group.name).await;
        let described = info::describe(store, group, &progress, consumers).await;
        described.map_err(|error| group.status(&error))
    }

    /// Removes the first parked events, at most `limit`, or all.
    async fn remove(
        &self,
        group: &PersistentGroup,
        limit: Option<i64>,
        removal: LetterRemoval,
    ) -> Result<(), Status> {
        let store = &**self.groups.store();
        let mut left = match limit {
            Some(limit) => usize::try_from(limit).unwrap_or(0),
            None => usize::MAX,
        };
        loop {
            let count = left.min(MAX_RETRIES);
            let listed = dead_letters::list(store, &group.name, 0, count.max(1)).await;
            let letters = listed.map_err(|error| group.status(&error))?;
            if letters.is_empty() || count == 0 {
                break;
            }
            let positions: Vec<u64> = letters.iter().map(|letter| letter.position).collect();
            let removed = dead_letters::remove(store, &group.name, &positions, removal).await;
            removed.map_err(|error| group.status(&error))?;
            left -= positions.len();
            if positions.len() < MAX_RETRIES {
                break;
            }
        }
        self.groups.reload(&group.name).await;
        Ok(())
    }
}

#[async_trait]
impl PersistentSubscriptions for PersistentServices {
    type ReadStream = Messages<ReadResp>;

    async fn create(&self, request: Request<CreateReq>) -> Result<Response<CreateResp>, Status> {
        let options = request.get_ref().options.clone().unwrap_or_default();
        let refused = |refused: Refused| refused.status("Create");
        let source = group::create_source(&options).map_err(refused)?;
        let group = PersistentGroup::new(&source, &options.group_name).map_err(refused)?;
        self.authorize_events(&request, &group)?;
        let settings = options.settings.unwrap_or_default();
        let protocol = ProtocolSettings::of_create(&settings, &group, source.start());
        let filter = group::filter(&options.stream_option).map_err(refused)?;
        let store = &**self.groups.store();
        let start = group.start(store, source.start()).await;
        let start = start.map_err(|error| group.status(&error))?;
        let settings = protocol.group_settings(&group, filter);
        let settings = settings.map_err(|reason| group.failed(&reason))?;
        let created = catalog::create(store, &group.name, settings, start).await;
        created.map_err(|error| group.status(&error))?;
        Ok(Response::new(CreateResp {}))
    }

    async fn update(&self, request: Request<UpdateReq>) -> Result<Response<UpdateResp>, Status> {
        let options = request.get_ref().options.clone().unwrap_or_default();
        let refused = |refused: Refused| refused.status("Update");
        let source = group::update_source(&options).map_err(refused)?;
        let group = PersistentGroup::new(&source, &options.group_name).map_err(refused)?;
        self.authorize_events(&request, &group)?;
        let store = &**self.groups.store();
        let progress = catalog::describe(store, &group.name).await;
        let progress = progress.map_err(|error| group.status(&error))?;
        let settings = options.settings.unwrap_or_default();
        let protocol = ProtocolSettings::of_update(&settings, &group, source.start());
        let filter = progress.group.settings.filter;
        let settings = protocol.group_settings(&group, filter);
        let settings = settings.map_err(|reason| group.failed(&reason))?;
        let updated = catalog::update(store, &group.name, &settings, None).await;
        updated.map_err(|error| group.status(&error))?;
        self.groups.reload(&group.name).await;
        Ok(Response::new(UpdateResp {}))
    }

    async fn delete(&self, request: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        let options = request.get_ref().options.clone().unwrap_or_default();
        let group = group::of_delete(&options).map_err(|refused| refused.status("Delete"))?;
        self.authorize(&request, &group)?;
        let deleted = catalog::delete(&**self.groups.store(), &group.name).await;
        deleted.map_err(|error| group.status(&error))?;
        self.groups.reload(&group.name).await;
        Ok(Response::new(DeleteResp {}))
    }

    async fn read(
        &self,
        request: Request<Streaming<ReadReq>>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let principal = self.stores.principal(&request)?;
        let (requests, stop) = (request.into_inner(), self.stop.clone());
        let answers = consume::consume(self.groups.clone(), principal, requests, stop).await?;
        Ok(Response::new(answers))
    }

    async fn get_info(
        &self,
        request: Request<GetInfoReq>,
    ) -> Result<Response<GetInfoResp>, Status> {
        let options = request.get_ref().options.clone().unwrap_or_default();
        let group = group::of_get_info(&options).map_err(|refused| refused.status("GetInfo"))?;
        self.authorize(&request, &group)?;
        let subscription_info = Some(self.info(&group).await?);
        Ok(Response::new(GetInfoResp { subscription_info }))
    }

    async fn replay_parked(
        &self,
        request: Request<ReplayParkedReq>,
    ) -> Result<Response<ReplayParkedResp>, Status> {
        let options = request.get_ref().options.clone().unwrap_or_default();
        let group = group::of_replay(&options).map_err(|refused| refused.status("ReplayParked"))?;
        self.authorize(&request, &group)?;
        let limit = match options.stop_at_option {
            Some(replay_parked_req::options::StopAtOption::StopAt(limit)) => Some(limit),
            _ => None,
        };
        self.remove(&group, limit, LetterRemoval::Retry).await?;
        Ok(Response::new(ReplayParkedResp {}))
    }

    async fn truncate_parked(
        &self,
        request: Request<TruncateParkedReq>,
    ) -> Result<Response<TruncateParkedResp>, Status> {
        let options = request.get_ref().options.clone().unwrap_or_default();
        let group = group::of_truncate(&options);
        let group = group.map_err(|refused| refused.status("TruncateParked"))?;
        self.authorize(&request, &group)?;
        let limit = match options.stop_at_option {
            Some(truncate_parked_req::options::StopAtOption::StopAt(limit)) => Some(limit),
            _ => None,
        };
        self.remove(&group, limit, LetterRemoval::Discard).await?;
        Ok(Response::new(TruncateParkedResp {}))
    }

    async fn list(&self, request: Request<ListReq>) -> Result<Response<ListResp>, Status> {
        let principal = self.stores.principal(&request)?;
        let options = request.into_inner().options.unwrap_or_default();
        let wanted = match options.list_option {
            Some(list_req::options::ListOption::ListForStream(stream)) => {
                let wanted = group::listed_stream(stream.stream_option);
                Some(wanted.map_err(|refused| refused.status("List"))?)
            }
            _ => None,
        };
        let (mut subscriptions, mut after) = (Vec::new(), None);
        loop {
            let page = catalog::list(&**self.groups.store(), after.as_ref(), MAX_LIST).await;
            let page = page.map_err(|error| Refused::from_group(error).status("List"))?;
            for progress in &page {
                let settings = ProtocolSettings::stored(&progress.group.settings.protocol);
                let group = settings.and_then(|settings| settings.persistent_group());
                let is_wanted = |group: &PersistentGroup| {
                    let is_permitted = principal.permits(Permission::Groups, group.name.as_str());
                    is_permitted && wanted.as_ref().is_none_or(|wanted| *wanted == group.stream)
                };
                if let Some(group) = group.filter(is_wanted) {
                    subscriptions.push(self.info(&group).await?);
                }
            }
            match page.last().filter(|_| page.len() == MAX_LIST) {
                Some(last) => after = Some(last.name.clone()),
                None => break,
            }
        }
        match wanted {
            Some(stream) if subscriptions.is_empty() => Err(group::not_found(&stream, "")),
            _ => Ok(Response::new(ListResp { subscriptions })),
        }
    }

    async fn restart_subsystem(&self, request: Request<Empty>) -> Result<Response<Empty>, Status> {
        let principal = self.stores.principal(&request)?;
        let permitted = principal.require(Permission::Admin, "persistent subscriptions");
        permitted.map_err(|error| Refused::from(error).status("RestartSubsystem"))?;
        // The groups have no state that a restart would clear.
        Ok(Response::new(Empty {}))
    }
}

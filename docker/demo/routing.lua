-- Chest films that come from elsewhere go on to hilum; what hilum sends does not.
function OnStoredInstance(instance, tags, metadata, origin)
   if (tags.Modality == 'CR' or tags.Modality == 'DX') and tags.Manufacturer ~= 'hilum' then
      SendToModality(instance, 'hilum')
   end
end
